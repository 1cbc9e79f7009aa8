export { readEnvironment } from './environment.ts';
export { hostError } from './host-error.ts';
export { basePath, type Host, openHost } from './open-host.ts';
export { pageFiles } from './page.ts';
export { resources, subOrgs } from './resources.ts';
export { serve } from './serve.ts';
