import { serve } from '@tollgate/example-shared';
import { createApp } from './app.ts';

await serve('Koa', (host) => createApp(host).callback());
