import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { readPage, root } from './fenced-blocks.ts';

/** Every metric the packages count, with the names of its attributes. */
function metricsInSource(): ReadonlyMap<string, ReadonlySet<string>> {
  const metrics = new Map<string, Set<string>>();
  for (const name of readdirSync(`${root}packages`)) {
    const folder = `packages/${name}/src`;
    for (const file of readdirSync(`${root}${folder}`, { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts') || /\.(test|test-d|test-support)\.ts$/.test(file)) continue;
      const source = readPage(`${folder}/${file}`);
      for (const [, metric = '', rest = ''] of source.matchAll(
        /\.count\(\s*'(tollgate\.[\w.]+)'([^;]*?)\);/gs,
      )) {
        const known = metrics.get(metric) ?? new Set<string>();
        for (const [, attribute = ''] of attributesIn(rest)) known.add(attribute);
        metrics.set(metric, known);
      }
    }
  }
  return metrics;
}

function attributesIn(call: string) {
  return (/\{(.*)\}/s.exec(call)?.[1] ?? '').matchAll(/(?:^|,)\s*(\w+)/g);
}

it('docs/telemetry.md lists exactly the metrics that are counted, with their attributes', () => {
  const listed = [...readPage('docs/telemetry.md').matchAll(/^\| `(tollgate\.[\w.]+)` \| ([^|]*)\|/gm)].map(
    ([, metric = '', cell = '']) => [metric, [...cell.matchAll(/`(\w+)`/g)].map((match) => match[1]).sort()],
  );
  const counted = [...metricsInSource()].map(([metric, attributes]) => [metric, [...attributes].sort()]);
  expect(counted.length).toBeGreaterThan(10);
  expect(Object.fromEntries(listed)).toEqual(Object.fromEntries(counted));
});
