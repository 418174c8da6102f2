import { z } from "zod";

const DURATIONS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZES = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const;

function quantity(units: Readonly<Record<string, number>>, message: string) {
  const form = new RegExp(`^(\\d{1,9}(?:\\.\\d{1,3})?) ?(${Object.keys(units).join("|")})$`);
  return z
    .string(message)
    .regex(form, message)
    .transform((text) => {
      const [, number, unit] = form.exec(text)!;
      return Math.round(Number(number) * units[unit!]!);
    })
    .refine((value) => value > 0, "write more than zero");
}

/** A time such as 30s or 7d, not zero; milliseconds. */
export const duration = quantity(DURATIONS, "write a time with its unit: 500ms, 30s, 10m, 2h or 7d");
/** A size such as 512MiB, not zero; bytes. */
export const size = quantity(SIZES, "write a size with its unit: 64KiB, 512MiB or 10GiB");
