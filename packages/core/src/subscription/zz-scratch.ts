export { x } from '../http/a.ts';
