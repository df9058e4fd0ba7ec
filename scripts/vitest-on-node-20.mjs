// vitest 5.1 reports failures with Map.groupBy, which Node 20 does not have: without this it prints no
// failure at all. Imported by the vitest configs, so it reaches vitest's own process, never the tests.

Map.groupBy ??= (items, keyOf) => {
  const groups = new Map();
  let index = 0;
  for (const item of items) {
    const key = keyOf(item, index++);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return groups;
};
