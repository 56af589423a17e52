import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createRequestMetrics } from './request-metrics.ts';
import { requestRow } from './test-api.ts';

const RECORDER = {
  queuedRows: 1,
  queuedBytes: 2,
  written: 3,
  droppedBodies: 4,
  lostRows: 5,
  lagMs: 6_000,
  lastError: null,
};

describe("metrics (Prometheus' text exposition format 0.0.4)", () => {
  test('requests, tokens and cost are summed by provider, model, format and outcome', () => {
    const metrics = createRequestMetrics();
    metrics.observe(requestRow('a', 'p', { costNanoUsd: 2_000_000_000 }));
    metrics.observe(requestRow('b', 'p', { costNanoUsd: null, outcome: 'refused' }));
    const text = metrics.render(RECORDER);
    assert.match(
      text,
      /^postern_requests_total\{provider="postern",model="echo",format="openai_chat",outcome="ok"\} 1$/m,
    );
    assert.match(
      text,
      /^postern_cost_usd_total\{provider="postern",model="echo",format="openai_chat",outcome="ok"\} 2$/m,
    );
    assert.match(text, /^postern_requests_total\{.*outcome="refused"\} 1$/m);
    assert.match(text, /^postern_recorder_lost_rows_total 5$/m);
  });

  test('histogram buckets count all below them, and +Inf all', () => {
    const metrics = createRequestMetrics();
    for (const totalUs of [9_000, 400_000, 999_000_000]) metrics.observe(requestRow('a', 'p', { totalUs }));
    const text = metrics.render(RECORDER);
    assert.match(text, /postern_request_duration_seconds_bucket\{le="0.01"\} 1\n/);
    assert.match(text, /postern_request_duration_seconds_bucket\{le="0.5"\} 2\n/);
    assert.match(text, /postern_request_duration_seconds_bucket\{le="\+Inf"\} 3\n/);
    assert.match(text, /postern_request_duration_seconds_count 3\n/);
  });

  test('label values cannot break the format, and their number is bounded', () => {
    const metrics = createRequestMetrics();
    metrics.observe(requestRow('a', 'p', { model: 'x"} 1\npostern_evil 1' }));
    for (let i = 0; i < 2_000; i += 1) metrics.observe(requestRow('a', 'p', { model: `m${i}` }));
    const text = metrics.render(RECORDER);
    assert.doesNotMatch(text, /^postern_evil/m);
    assert.ok(text.match(/^postern_requests_total\{/gm)?.length === 1_001);
    assert.match(
      text,
      /^postern_requests_total\{provider="other",model="other",format="other",outcome="ok"\} 1001$/m,
    );
  });

  test('names that differ only in what is cut, or in who is asked, are counted where their labels say', () => {
    const metrics = createRequestMetrics();
    const long = 'x'.repeat(200);
    for (const model of [`${long}a`, `${long}b`, long, long])
      metrics.observe(requestRow('a', 'p', { model }));
    metrics.observe(requestRow('a', 'p', { provider: 'other one', model: long }));
    const text = metrics.render(RECORDER);
    assert.match(
      text,
      new RegExp(
        `^postern_requests_total\\{provider="postern",model="${long}",format="openai_chat",outcome="ok"\\} 4$`,
        'm',
      ),
    );
    assert.match(text, /^postern_requests_total\{provider="other one",.*\} 1$/m);
    assert.equal(text.match(/^postern_requests_total\{/gm)?.length, 2);
  });

  test('a series that is full of names still counts the names that it has', () => {
    const metrics = createRequestMetrics();
    for (let round = 0; round < 2; round += 1) {
      for (let i = 0; i < 1_500; i += 1) metrics.observe(requestRow('a', 'p', { model: `m${i}` }));
    }
    const text = metrics.render(RECORDER);
    assert.match(text, /^postern_requests_total\{provider="postern",model="m0",.*\} 2$/m);
    assert.match(text, /^postern_requests_total\{provider="postern",model="m999",.*\} 2$/m);
    assert.match(text, /^postern_requests_total\{provider="other",model="other",.*\} 1000$/m);
  });

  test('a model that a caller only named makes no series', () => {
    const metrics = createRequestMetrics();
    metrics.observe(requestRow('a', 'p', { provider: null, model: 'whatever', outcome: 'refused' }));
    assert.match(metrics.render(RECORDER), /provider="none",model="none"/);
  });
});
