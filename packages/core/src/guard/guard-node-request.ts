import { createNodeRequest, type NodeRequestSource } from '../http/node-request.ts';
import { type Passage, passageOf } from '../http/passage.ts';
import type { HttpRequest } from '../ports/http-message.ts';
import type { GuardedRequest } from './guard.ts';

/** A request of a framework on Node as guards take it. */
export function guardNodeRequest<N>(source: NodeRequestSource<N>): GuardedRequest<N> {
  return new GuardedNodeRequest(source);
}

class GuardedNodeRequest<N> implements GuardedRequest<N> {
  readonly native: N;
  readonly #source: NodeRequestSource<N>;

  constructor(source: NodeRequestSource<N>) {
    this.native = source.native;
    this.#source = source;
  }

  request(): HttpRequest {
    return createNodeRequest(this.#source);
  }

  passage(): Passage | undefined {
    return passageOf(this.#source.message);
  }
}
