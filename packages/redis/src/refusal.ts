import { messageOf } from './message-of.ts';

/**
 * What an error reply to a batch means. `full`: over `maxmemory`. `later`: this server cannot run it now (loading, read-only,
 * cut off from its replicas or its cluster, busy, no disk, connection ended ...). `broken`: the batch itself cannot be run.
 */
export function classifyRefusal(error: unknown): 'full' | 'later' | 'broken' {
  const message = messageOf(error);
  if (message.startsWith('OOM')) return 'full';
  if (
    /^(STALEBATCH|LATEBATCH|ERR Error (compiling|running) script|ERR user_(script|function)|user_(script|function)|ERR Lua|CROSSSLOT)/.test(
      message,
    )
  )
    return 'broken';
  return 'later';
}
