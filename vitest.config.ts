import { defineConfig } from 'vitest/config';

// Tests run on the packages' sources: nothing has to be built first. The rest are Vite's own defaults.
const conditions = ['@tollgate/source', 'module', 'node', 'development|production'];
const services = ['test/support/global-setup.ts'];

export default defineConfig(({ mode }) => {
  const nightly = mode === 'nightly';
  return {
    resolve: { conditions },
    ssr: { resolve: { conditions } },
    test: {
      environment: 'node',
      pool: 'forks',
      maxWorkers: 2,
      testTimeout: nightly ? 600_000 : 20_000,
      hookTimeout: 60_000,
      teardownTimeout: 30_000,
      allowOnly: !process.env.CI,
      restoreMocks: true,
      unstubEnvs: true,
      setupFiles: nightly ? ['test/support/nightly-setup.ts'] : [],
      env: nightly ? { TOLLGATE_STORMS: '30' } : {},
      reporters: ['default', 'json'],
      outputFile: { json: process.env.TOLLGATE_TEST_REPORT ?? 'test-results/tests.json' },
      coverage: {
        include: ['packages/*/src/**/*.ts'],
        exclude: ['**/*.test-d.ts', '**/*.test-support.ts'],
        reportsDirectory: 'coverage',
      },
      projects: [
        {
          extends: true,
          test: {
            name: 'unit',
            include: ['packages/{core,express,koa,stripe,testing}/src/**/*.test.ts'],
          },
        },
        {
          extends: true,
          test: {
            name: 'store',
            include: ['packages/{redis,postgres}/src/**/*.test.ts'],
            globalSetup: services,
          },
        },
        {
          extends: true,
          test: {
            name: 'matrix',
            include: ['test/**/*.test.ts'],
            exclude: ['test/browser/**', '**/node_modules/**', 'test/fixtures/**'],
            globalSetup: services,
          },
        },
        {
          extends: true,
          test: {
            name: 'browser',
            include: ['test/browser/**/*.test.ts'],
            testTimeout: 60_000,
            globalSetup: ['test/support/browser-setup.ts'],
          },
        },
      ],
    },
  };
});
