import { readFileSync } from 'node:fs';

/** A file of the page at `/`. */
export interface PageFile {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The page at `/` and what it loads. Nothing comes from another origin, and no script is inline. */
export const pageFiles: readonly PageFile[] = [
  file('/', 'index.html', 'text/html'),
  file('/page.js', 'page.js', 'text/javascript'),
  file('/page.css', 'page.css', 'text/css'),
  file('/icon.svg', 'icon.svg', 'image/svg+xml'),
];

function file(path: string, name: string, type: string): PageFile {
  return {
    path,
    headers: {
      'Content-Type': `${type}; charset=utf-8`,
      'Content-Security-Policy': POLICY,
      'X-Content-Type-Options': 'nosniff',
      'Referrer-Policy': 'no-referrer',
      'Cache-Control': 'no-cache',
    },
    body: readFileSync(new URL(`../public/${name}`, import.meta.url), 'utf8'),
  };
}
