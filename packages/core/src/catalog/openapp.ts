import { capacity, metered } from './quota.ts';

/** The quota keys of OpenApp's published billing API: a ready-made registry, and an example of one. */
export const openAppQuotas = {
  org_users: capacity({ windsDown: false }),
  organizations: capacity({ windsDown: false }),
  integrations: capacity(),
  devices: capacity(),
  entities: capacity(),
  zones: capacity(),
  api_keys: capacity(),
  door_opens: metered({ periods: ['day', 'month'] }),
  voice_invocations: metered({ periods: ['day'] }),
  portal_views: metered({ periods: ['day'] }),
  video_sessions: metered({ periods: ['month'] }),
  video_session_duration_seconds: metered({ periods: ['per_session'], unit: 'seconds' }),
  scripting_executions: metered({ periods: ['day'] }),
  ai_requests: metered({ periods: ['day', 'month'] }),
  geocoding_requests: metered({ periods: ['day'] }),
} as const;

/** The name of a quota key of the preset. */
export type OpenAppQuotaKey = keyof typeof openAppQuotas;
