import { counterStoreContract } from './counter-store-contract.ts';
import { memoryCounterHost } from './memory-counter-host.ts';

counterStoreContract(memoryCounterHost);
