import { broken } from "./errors.ts";
import type { Node } from "./graph.ts";

/**
 * The nodes in an order in which each finds its inputs ready; the order of the file where that works already.
 * @throws OnnxError `BrokenOnnx` for a duplicate name, an edge from nowhere or a cycle
 */
export function sortNodes(nodes: readonly Node[], given: readonly string[]): Node[] {
  const known = new Set<string>();
  for (const name of given) {
    if (known.has(name)) throw broken(`two inputs or initializers are called "${name}"`);
    known.add(name);
  }
  const names = new Set<string>();
  const producers = new Map<string, Node>();
  for (const node of nodes) {
    if (names.has(node.name)) throw broken(`two nodes are called "${node.name}"`);
    names.add(node.name);
    for (const output of node.outputs) {
      if (known.has(output) || producers.has(output)) throw broken(`the value "${output}" is produced twice`);
      producers.set(output, node);
    }
  }
  const waitsFor = new Map<Node, number>();
  const consumers = new Map<Node, Node[]>();
  for (const node of nodes) {
    let count = 0;
    for (const input of node.inputs) {
      if (input === "" || known.has(input)) continue;
      const producer = producers.get(input);
      if (producer === undefined) throw broken(`node "${node.name}" reads "${input}", which nothing produces`);
      const others = consumers.get(producer);
      if (others === undefined) consumers.set(producer, [node]);
      else others.push(node);
      count++;
    }
    waitsFor.set(node, count);
  }
  const sorted = nodes.filter((node) => waitsFor.get(node) === 0);
  for (let i = 0; i < sorted.length; i++) {
    for (const consumer of consumers.get(sorted[i]!) ?? []) {
      const left = waitsFor.get(consumer)! - 1;
      waitsFor.set(consumer, left);
      if (left === 0) sorted.push(consumer);
    }
  }
  const stuck = nodes.find((node) => waitsFor.get(node)! > 0);
  if (stuck !== undefined) throw broken(`node "${stuck.name}" is part of a cycle`);
  return sorted;
}
