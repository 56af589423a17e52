/**
 * The gateway document as a JSON Schema (2020-12), for completion and hints in an editor. What a document
 * may hold is decided by the reader in `policy/` alone; a test holds every name here against it.
 */

type Schema = Readonly<Record<string, unknown>>;

const text = (description: string): Schema => ({ type: 'string', description });
const flag = (description: string): Schema => ({ type: 'boolean', description });
const count = (description: string): Schema => ({ type: 'integer', minimum: 0, description });
const oneOf = (values: readonly string[], description: string): Schema => ({ enum: values, description });
const texts = (description: string): Schema => ({ type: 'array', items: { type: 'string' }, description });
const object = (description: string, properties: Readonly<Record<string, Schema>>): Schema => ({
  type: 'object',
  description,
  properties,
});
const byName = (description: string, additionalProperties: Schema): Schema => ({
  type: 'object',
  description,
  additionalProperties,
});
const list = (description: string, items: Schema): Schema => ({ type: 'array', description, items });

const COMMENT = text('For readers.');
const MODELS = {
  description: 'Globs over `provider/model`.',
  type: ['string', 'array'],
  items: { type: 'string' },
};

const PROVIDER = object('An upstream of models.', {
  baseurl: text('Address without its version segment: `https://api.openai.com`.'),
  models: texts('Ids as the provider names them, or globs; `["*"]` for all.'),
  apikey: text('The key. Saved into the vault at once, and never shown again; better added under Providers.'),
  authorization: oneOf(
    ['bearer', 'x-api-key', 'x-goog-api-key'],
    'How the key is presented. Default `bearer`.',
  ),
  auth_mode: oneOf(
    ['override', 'passthrough', 'none'],
    'Whose credential is sent. Default `override`: ours.',
  ),
  name: text('For people.'),
  description: text('For people.'),
  compatibility: {
    type: 'object',
    description: 'Wire formats that it speaks. Default `openai_chat`.',
    properties: Object.fromEntries(
      [
        'openai_chat',
        'openai_responses',
        'anthropic_messages',
        'gemini_generate_content',
        'google_generate_content',
        'google_raw_predict',
        'bedrock_model_invoke',
        'bedrock_converse',
      ].map((name) => [name, { type: 'boolean' }]),
    ),
  },
  cost_basis: text("Whose price list holds: `openai`, `anthropic` … Default: the provider's kind."),
  model_cost_map: list(
    'Prices of models that the list does not have; the first match wins.',
    object('Price what matches as another model.', {
      match: text('Glob over the model id.'),
      as: text('Model of the price list, or `basis/model`.'),
      adjustment: { type: 'number', minimum: 0, description: 'Factor on the price. Default 1.' },
    }),
  ),
  model_limits: list('What models take and give, where it is not known.', { type: 'object' }),
  allow_stored_inputs: { description: 'Addresses in object storage that requests may name.' },
  preference: { type: 'number', description: 'The higher wins among providers of one model. Default 0.' },
  disabled: flag('Not used. Default false.'),
  add_headers: texts('Headers on every call, `Name: value`; never keys.'),
});

const CACHE = object('Answers may come from the response cache.', {});

const TOOL_RULE_PROPERTIES = {
  src: texts('Whom it means. Default: everybody.'),
  models: MODELS,
  agents: texts(
    'Globs over labels of programs; with `deny` and `ask` only, for a label is said by its caller.',
  ),
  tools: texts('Globs over names of tools.'),
  when: list(
    'Tests of the arguments; all must hold.',
    object('A test.', {
      path: text('`$.command`'),
      matches: text('Regular expression.'),
      not_matches: text('Regular expression.'),
      equals: {},
      in: { type: 'array' },
      exists: { type: 'boolean' },
    }),
  ),
  action: oneOf(['allow', 'deny', 'rewrite', 'ask'], 'What becomes of the call.'),
  message: text('What the model is told.'),
  set: { type: 'object', description: 'With `rewrite`: values by path.' },
  approval: text('With `ask`: the entry of `approvals`.'),
  comment: COMMENT,
};
const TOOL_RULE = object('A rule on calls of tools.', TOOL_RULE_PROPERTIES);

const CAPABILITY = object('What a grant gives.', {
  role: oneOf(['user', 'lead', 'approver', 'auditor', 'admin'], 'Role.'),
  models: MODELS,
  leads: texts('With the role `lead`: groups that are led.'),
  capture: oneOf(['full', 'redacted', 'metadata', 'none'], 'What is kept. The most private grant wins.'),
  quotas: list('Budgets that count.', object('', { bucket: text('Name of a quota.') })),
  send_hooks: list('Hooks that are called.', {
    type: 'object',
    properties: {
      name: text('Name of a hook.'),
      events: {
        type: 'array',
        items: { enum: ['pre_request', 'entire_request', 'tool_call_entire_request', 'tool_call'] },
      },
      send: {
        type: 'array',
        items: {
          enum: [
            'request_body',
            'user_message',
            'response_body',
            'raw_responses',
            'tools',
            'estimated_cost',
            'grants',
            'quotas',
            'delta',
          ],
        },
      },
    },
  }),
  add_headers: texts('Headers on every call, `Name: value`.'),
  connectors: texts('Globs over `connector/category/resource`.'),
  enable_chat_ui: flag('Kept for other gateways.'),
  read_metrics: flag('May read /metrics.'),
  read_pricing: flag('May read prices.'),
  guardrails: texts('Names of guardrails that hold.'),
  tools: list('Rules on calls of tools.', TOOL_RULE),
  cache: CACHE,
});

const GRANT = object('Who may do what.', {
  src: texts(
    'Logins, `group:x`, `tag:x`, principals, `(loopback)`, or `*` for every device of this tailnet.',
  ),
  app: {
    type: 'object',
    description: 'Capabilities by name.',
    properties: {
      'postern.dev/cap/gateway': list('Capabilities.', CAPABILITY),
      'tailscale.com/cap/aperture': list('Capabilities.', CAPABILITY),
    },
  },
});

const QUOTA = object('A budget. Its name may hold templates: `<user>`, `<group>`, `<model>` …', {
  capacity: { type: ['string', 'integer'], description: '`$10.00`, or a count in the unit.' },
  rate: text('How it refills: `$5/day`.'),
  on_exceed: oneOf(['reject'], 'What else there is to do.'),
  reserve: oneOf(
    ['bounded', 'worst', 'none'],
    'Default `bounded`. `none` lets requests at one time overrun it.',
  ),
  unit: oneOf(['usd', 'tokens', 'requests', 'concurrency'], 'Default `usd`.'),
  window: oneOf(['hour', 'day', 'week', 'month'], 'Calendar window in which it holds.'),
  timezone: text('IANA name; in which windows begin.'),
  warn_at: {
    type: 'array',
    items: { type: 'number', minimum: 0, maximum: 1 },
    description: '`[0.8]` warns at 80 %.',
  },
  parent: text('Quota that counts everything that this one counts.'),
  overdraft: texts('Buckets that lend.'),
  unknown_input: {
    type: ['string', 'integer'],
    description: 'Reserved for input whose cost cannot be known.',
  },
  notify: { type: 'array', description: 'Who is told when it warns or is used up.' },
});

const HOOK = object('A program of your own that is asked or told about requests.', {
  url: text('Address.'),
  apikey: text('Its key; saved into the vault.'),
  authorization: oneOf(['bearer', 'x-api-key', 'x-goog-api-key'], 'How the key is presented.'),
  timeout: text('`5s`'),
  fail_policy: oneOf(['fail_open', 'fail_closed'], 'What holds when it fails.'),
  preference: { type: 'number', description: 'The higher is asked first.' },
  disabled: flag('Not called. Default false.'),
  mode: oneOf(['enforce', 'monitor'], '`monitor`: nothing follows from what it says.'),
  payload: oneOf(['full', 'delta'], '`delta`: only what it has not seen of a conversation.'),
  sign_with: text('Secret that signs.'),
  max_concurrent: count('Calls at one time.'),
  max_response_bytes: count('Largest answer.'),
  break_after: count('Failures in a row that open its circuit.'),
});

const GUARDRAIL = object('What to look for in words, and what to do then.', {
  src: texts('Whom it means. Default: those whose grant names it.'),
  models: MODELS,
  on: {
    type: 'array',
    items: { enum: ['request', 'answer', 'tool_arguments', 'tool_results'] },
    description: 'Where. Default: everywhere.',
  },
  detect: {
    type: 'array',
    items: { enum: ['secrets', 'email', 'phone', 'card', 'iban', 'national_id', 'injection'] },
    description: 'Built-in detectors.',
  },
  patterns: list(
    'Patterns of your own.',
    object('', { name: text('`employee_id`'), pattern: text('Regular expression.') }),
  ),
  action: oneOf(['allow', 'flag', 'block', 'redact'], 'What to do.'),
  message: text('What the caller is told.'),
  limits: object('Largest sizes.', {
    max_body_bytes: count('Bytes of a body.'),
    max_depth: count('Nesting.'),
    max_tools: count('Tools offered.'),
    max_messages: count('Messages.'),
    max_output_tokens: count('Tokens of an answer.'),
  }),
  comment: COMMENT,
});

const TEST = object('What must hold; checked before every save.', {
  src: {
    description: 'A login, principal, `tag:x`, `(loopback)`, or {"login": …, "groups": […], "tags": […]}.',
  },
  groups: texts('Groups of the caller.'),
  tags: texts('Tags of the device.'),
  accept: texts('`provider/model` that must be usable.'),
  deny: texts('`provider/model` that must not be.'),
  tools: list(
    'Tool calls, and what must become of them.',
    object('', {
      model: text('`provider/model`'),
      name: text('Tool.'),
      arguments: {},
      agent: text('Label.'),
      expect: oneOf(['allow', 'rewrite', 'ask', 'deny'], 'What must become of it.'),
    }),
  ),
  role: oneOf(['user', 'lead', 'approver', 'auditor', 'admin', 'none'], 'Role that the caller must have.'),
  comment: COMMENT,
});

/** The schema of the gateway document. */
export const DOCUMENT_SCHEMA: Schema = {
  $schema: 'https://json-schema.org/draft/2020-12/schema',
  title: 'Postern gateway document',
  ...object('HuJSON: JSON with comments and trailing commas.', {
    providers: byName('Upstreams of models.', PROVIDER),
    model_aliases: byName('Names that stand for models.', {
      description: 'Targets `provider/model`, best first.',
    }),
    auto_cost_basis: flag("Prices by the provider's kind. Default true."),
    grants: list('Who may do what; they add up.', GRANT),
    deny: list(
      'Takes away, whatever grants say.',
      object('', { src: texts('Whom.'), models: texts('Globs over `provider/model`.'), comment: COMMENT }),
    ),
    groups: byName('Groups and their members.', texts('Logins, principals, tags.')),
    quotas: byName('Budgets.', QUOTA),
    hooks: byName('Programs that are asked or told.', HOOK),
    guardrails: byName('Rules on words.', GUARDRAIL),
    tools: list('Rules on calls of tools.', TOOL_RULE),
    approvals: byName(
      'Who is asked, and how. `default`, `model_access` and `more_budget` are used by name.',
      { type: 'object' },
    ),
    routing: object('Order, retries and translation.', {
      models: byName('Targets by model name.', {
        type: 'object',
        properties: {
          strategy: text('How a target is picked.'),
          targets: { type: 'array', description: '`provider/model`, best first.' },
          regions: texts('Only targets of these.'),
          sticky: {},
          comment: COMMENT,
        },
      }),
      retries: count('Further attempts. Default 2.'),
      break_after: count('Failures in a row that open a circuit. Default 5.'),
      break_for: text('First pause of a circuit. Default `10s`.'),
      translate: flag('Serve a format by a provider of another. Default true.'),
      comment: COMMENT,
    }),
    connectors: byName('MCP servers and HTTP APIs.', { type: 'object' }),
    retention: { type: 'object', description: 'How long words are kept.' },
    tests: list('What must hold.', TEST),
  }),
};
