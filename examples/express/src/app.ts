import { TollgateError } from '@tollgate/core';
import { basePath, type Host, hostError, pageFiles, resources, subOrgs } from '@tollgate/example-shared';
import { billingRouter, friction, releaseQuota, requireQuota } from '@tollgate/express';
import express, { type ErrorRequestHandler, type Express, type Request, type RequestHandler } from 'express';

/** The example as an Express app. */
export function createApp({ billing, answers }: Host): Express {
  const app = express();
  app.disable('x-powered-by');
  for (const { path, headers, body } of pageFiles) {
    app.get(path, (_req, res) => void res.set(headers).send(body));
  }

  const api = express.Router();
  api.use(billingRouter(billing));
  api.use(express.json());

  /** Refuses an org that the caller does not belong to, before anything is charged or done. */
  const enter: RequestHandler = (req, _res, next) => {
    answers.enter((name) => req.get(name), req.get('x-org'));
    next();
  };
  for (const resource of resources) {
    const { path, key } = resource;
    api.post(path, enter, requireQuota(key), async (req, res) => {
      res.status(201).json(await answers.create(resource, orgOf(req), req.body));
    });
    api.get(path, enter, async (req, res) => {
      res.json(await answers.list(resource, orgOf(req)));
    });
    api.get(`${path}/:id`, enter, async (req, res) => {
      res.json(await answers.read(resource, orgOf(req), param(req, 'id')));
    });
    api.delete(`${path}/:id`, enter, releaseQuota(key), async (req, res) => {
      await answers.remove(resource, orgOf(req), param(req, 'id'));
      res.status(204).end();
    });
  }

  // Friction comes before the charge, so that a delayed request holds no units.
  api.post('/doors/:id/open', enter, friction('door_opens'), requireQuota('door_opens'), async (req, res) => {
    res.json(await answers.openDoor(orgOf(req), param(req, 'id')));
  });

  // A sub-org is charged to its parent, which is in the path.
  const parentOf = (req: Request) => param(req, 'id');
  const enterParent: RequestHandler = (req, _res, next) => {
    answers.enter((name) => req.get(name), parentOf(req));
    next();
  };
  api.post(subOrgs.path, enterParent, requireQuota('organizations', { org: parentOf }), async (req, res) => {
    res.status(201).json(await answers.create(subOrgs, parentOf(req), req.body));
  });
  api.get(subOrgs.path, enterParent, async (req, res) => {
    res.json(await answers.list(subOrgs, parentOf(req)));
  });
  api.delete(
    `${subOrgs.path}/:subId`,
    enterParent,
    releaseQuota('organizations', { org: parentOf }),
    async (req, res) => {
      await answers.remove(subOrgs, parentOf(req), param(req, 'subId'));
      res.status(204).end();
    },
  );

  app.use(basePath, api);
  app.use((_req, _res, next) => next(new TollgateError('not_found')));
  app.use(onError);
  return app;
}

const onError: ErrorRequestHandler = (error, req, res, _next) => {
  const { status, headers, body } = hostError(error, (name) => req.get(name));
  if (res.headersSent) res.destroy();
  else res.status(status).set(headers).end(body);
};

/** Checked by `enter`. */
function orgOf(req: Request): string {
  return req.get('x-org') ?? '';
}

function param(req: Request, name: string): string {
  return String(req.params[name]);
}
