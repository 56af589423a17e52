import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';
import * as fc from 'fast-check';
import { CLIENT_NAMES, clientSettings, codexConfig, settingsFor, shellQuote } from './connect-snippets.ts';

const INPUT = { baseUrl: 'http://localhost:8080/', model: 'postern/echo' };

test('every client has settings that name the address and the model', () => {
  const all = clientSettings(INPUT);
  assert.deepEqual(
    all.map((settings) => settings.client),
    [...CLIENT_NAMES],
  );
  for (const settings of all) {
    const text = JSON.stringify(settings);
    assert.match(text, /http:\/\/localhost:8080/, settings.client);
    assert.match(text, /postern\/echo/, settings.client);
    assert.doesNotMatch(text, /8080\/\/|v1\/v1/, settings.client);
  }
});

test('base URLs end as each client wants them', () => {
  const without = ['claude', 'gemini', 'anthropic-sdk', 'google-genai', 'curl'];
  for (const settings of clientSettings(INPUT)) {
    assert.equal(
      settings.baseUrl,
      without.includes(settings.client) ? 'http://localhost:8080' : 'http://localhost:8080/v1',
      settings.client,
    );
  }
});

test('no key is needed unless a token is given, which then goes where the client reads its key', () => {
  assert.doesNotMatch(settingsFor('curl', INPUT).snippet.text, /authorization/);
  for (const client of CLIENT_NAMES) {
    assert.match(
      JSON.stringify(settingsFor(client, { ...INPUT, credential: 'pst_token' })),
      /pst_token/,
      client,
    );
  }
});

test('a model of its own is used for each format', () => {
  const models = { anthropic_messages: 'claude-x', openai_responses: 'gpt-x' };
  assert.equal(settingsFor('claude', { ...INPUT, models }).model, 'claude-x');
  assert.equal(settingsFor('codex', { ...INPUT, models }).model, 'gpt-x');
  assert.equal(settingsFor('gemini', { ...INPUT, models }).model, 'postern/echo');
});

test('what is quoted for a shell is one word to it, whatever it holds', () => {
  fc.assert(
    fc.property(
      fc.string().filter((text) => !text.includes('\0')),
      (text) => {
        assert.equal(
          execFileSync('/bin/sh', ['-c', `printf %s ${shellQuote(text) || "''"}`], { encoding: 'utf8' }),
          text,
        );
      },
    ),
    { numRuns: 50 },
  );
});

test('a hostile model name stays inside its string in TOML and TypeScript', () => {
  const model = `x"\n[hooks]\n'; process.exit(1); '`;
  const lines = codexConfig({ baseUrl: 'http://localhost/v1', model, quiet: true }).split('\n');
  assert.equal(lines[0], `model = ${JSON.stringify(model)}`);
  assert.ok(!lines.includes('[hooks]'));
  const code = settingsFor('openai-sdk', { ...INPUT, model }).snippet.text;
  const literal = /model: ('(?:[^'\\\n]|\\.)*'),$/m.exec(code)?.[1];
  assert.equal(runInNewContext(literal ?? ''), model);
});
