import { billingRepositoryContract } from './billing-repository-contract.ts';
import { memoryRepositoryHost } from './memory-repository-host.ts';

billingRepositoryContract(memoryRepositoryHost);
