import { connect } from 'node:net';

/** A request as it goes over the wire, built without a client that would normalize it. */
export interface RawRequest {
  readonly method: string;
  /** The request target, sent verbatim. */
  readonly target: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Sent as `Content-Length`; a value above the body's length makes the server wait for the rest. @default the body's own length */
  readonly contentLength?: number;
}

export interface RawResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

/** The bytes of a request; the connection ends with its response. */
export function rawBytes(request: RawRequest): Buffer {
  const body = Buffer.from(request.body ?? '');
  const length = request.contentLength ?? body.length;
  const lines = [`${request.method} ${request.target} HTTP/1.1`, 'Host: contract.test', 'Connection: close'];
  for (const [name, value] of Object.entries(request.headers ?? {})) lines.push(`${name}: ${value}`);
  if (length > 0) lines.push(`Content-Length: ${length}`);
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body]);
}

/** Sends the bytes over a new connection to loopback and reads the one response. */
export function rawExchange(port: number, bytes: Uint8Array): Promise<RawResponse> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const chunks: Buffer[] = [];
    let failure: Error | undefined;
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', (error) => {
      failure = error;
    });
    socket.on('close', () => {
      const response = parseResponse(Buffer.concat(chunks));
      if (response === null)
        reject(failure ?? new Error('The server closed the connection without an answer.'));
      else resolve(response);
    });
    socket.write(bytes);
  });
}

/** Parses one complete response; null if there is none. */
export function parseResponse(bytes: Buffer): RawResponse | null {
  const text = bytes.toString('utf8');
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const [statusLine = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(':');
    headers.set(line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim());
  }
  return { status: Number(statusLine.split(' ')[1]), headers, body: text.slice(end + 4) };
}
