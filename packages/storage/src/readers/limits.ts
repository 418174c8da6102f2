/** Columns of a table: twice as many need more than 512 MiB while they are looked at and prepared. */
export const MAX_COLUMNS = 8_192;
