/** The groups of algorithms in the list of steps. */

import type { Algorithm } from './api/types';

/** The order of the groups in the list; groups of plugins follow. */
const ORDER = ['geometry', 'color', 'detail', 'faces', 'composing', 'encoding', 'analysis'];

export interface Group {
  name: string;
  title: string;
  members: Algorithm[];
}

/** Return the groups of these algorithms with the server's titles. */
export function groupsOf(algorithms: readonly Algorithm[]): Group[] {
  const groups = new Map<string, Group>();
  for (const algorithm of algorithms) {
    const { category: name, category_title: title } = algorithm;
    const group = groups.get(name) ?? { name, title, members: [] };
    group.members.push(algorithm);
    groups.set(name, group);
  }
  const place = (name: string): number => (ORDER.includes(name) ? ORDER.indexOf(name) : ORDER.length);
  return [...groups.values()].sort((first, second) => place(first.name) - place(second.name));
}
