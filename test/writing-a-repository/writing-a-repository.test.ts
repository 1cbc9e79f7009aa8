import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compareWithMemory } from './histories.example.ts';

const SEED = Number(process.env.TOLLGATE_SEED ?? Date.now() % 2 ** 31);

describe('the template of docs/writing-a-repository.md', () => {
  it(`answers like the memory repository, seed ${SEED}`, { timeout: 60_000 }, () => compareWithMemory(SEED));

  it('is quoted in the guide as it runs here', () => {
    const guide = readFileSync(new URL('../../docs/writing-a-repository.md', import.meta.url), 'utf8');
    const withoutMargin = (text: string) => text.replaceAll(/^ +/gm, '').trim();
    const sources = [new URL('template/', import.meta.url), new URL('./', import.meta.url)].flatMap(
      (folder) =>
        readdirSync(folder)
          .filter((name) => name.endsWith('.ts'))
          .map((name) => withoutMargin(readFileSync(new URL(name, folder), 'utf8'))),
    );
    const snippets = [...guide.matchAll(/```ts\n(.*?)```/gs)].map(([, snippet = '']) =>
      withoutMargin(snippet),
    );
    expect(snippets.length).toBeGreaterThan(5);
    for (const snippet of snippets) {
      expect(
        sources.some((source) => source.includes(snippet)),
        snippet,
      ).toBe(true);
    }
  });
});
