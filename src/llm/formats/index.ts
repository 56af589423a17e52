export { createMeter, type MeterOptions } from './create-meter.ts';
export { createUsageStripper, type UsageStripper } from './usage-stripper.ts';
