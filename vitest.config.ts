import { defineConfig } from 'vitest/config';

const common = { environment: 'node' as const, pool: 'forks' as const, testTimeout: 30_000 };

export default defineConfig({
  test: {
    reporters: ['default'],
    // Brokers, daemons and databases spend much of their time waiting.
    maxWorkers: 2,
    projects: [
      {
        test: {
          ...common,
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: ['test/architecture/**', 'test/process/**', 'test/endurance/**', 'test/brokers/**'],
        },
      },
      { test: { ...common, name: 'architecture', include: ['test/architecture/**/*.test.ts'] } },
      { test: { ...common, name: 'process', include: ['test/process/**/*.test.ts'], testTimeout: 120_000 } },
      { test: { ...common, name: 'brokers', include: ['test/brokers/**/*.test.ts'], testTimeout: 120_000 } },
      {
        test: {
          ...common,
          name: 'endurance',
          include: ['test/endurance/**/*.test.ts'],
          fileParallelism: false,
        },
      },
    ],
  },
});
