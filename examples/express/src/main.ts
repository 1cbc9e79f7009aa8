import { serve } from '@tollgate/example-shared';
import { createApp } from './app.ts';

await serve('Express', createApp);
