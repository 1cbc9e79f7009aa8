import type { NextFunction, Request, Response } from 'express';

/** A handler for any route. The types of the route's own handlers (parameters, body and query) stay as they are without it. */
// biome-ignore lint/suspicious/noExplicitAny: Express' own constraint
export type Middleware = <Params, Answer, Body, Query, Locals extends Record<string, any>>(
  req: Request<Params, Answer, Body, Query, Locals>,
  res: Response<Answer, Locals>,
  next: NextFunction,
) => void;
