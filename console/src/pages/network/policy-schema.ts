/** What the editor completes in a network's policy: the sections and members that the server reads. */
import type { JsonSchema } from '../policy/schema-hints.ts';

const texts = (description: string) => ({ type: 'array', items: { type: 'string', description } });
const listsByName = (description: string, of: string) => ({
  type: 'object',
  description,
  additionalProperties: texts(of),
});
const list = (description: string, properties: object) => ({
  type: 'array',
  description,
  items: { type: 'object', properties },
});

const END = 'A login, group:, tag:, autogroup:, a name of “hosts”, an address or *.';
const TARGET = 'An end with a port: tag:server:443.';

export const POLICY_SCHEMA: JsonSchema = {
  type: 'object',
  properties: {
    grants: list('Who may reach what, and with which capabilities.', {
      src: texts(END),
      dst: texts(END),
      ip: texts('*, 443, 1000-2000, tcp:22.'),
      app: { type: 'object', description: 'Capabilities for applications, by name.' },
      via: texts('Routers (tag:) that the way must lead through.'),
    }),
    acls: list('The older form of grants.', {
      action: { enum: ['accept'] },
      src: texts(END),
      dst: texts(TARGET),
      proto: { type: 'string', description: 'tcp, udp, icmp or a number.' },
    }),
    groups: listsByName('Names for several people: group:eng.', 'A login.'),
    hosts: {
      type: 'object',
      description: 'Names for addresses and ranges.',
      additionalProperties: { type: 'string' },
    },
    ipsets: listsByName('Names for sets of ranges: ipset:office.', 'A range, or “add” and “remove” of one.'),
    tagOwners: listsByName(
      'Who may give a device a tag: tag:server.',
      'A login, group:, autogroup: or tag:.',
    ),
    autoApprovers: {
      type: 'object',
      description: 'Whose routes need no admin.',
      properties: {
        routes: listsByName('By range.', 'A login, group: or tag:.'),
        exitNode: texts('A login, group: or tag:.'),
      },
    },
    ssh: list('Who may log in by Tailscale SSH.', {
      action: { enum: ['accept', 'check'] },
      src: texts(END),
      dst: texts('tag: or autogroup:self.'),
      users: texts('A user of the host, or autogroup:nonroot.'),
      checkPeriod: { type: 'string', description: 'How long a check holds: 12h, always.' },
    }),
    nodeAttrs: list('Attributes that devices get.', {
      target: texts(END),
      attr: texts('Such as funnel or randomize-client-port.'),
    }),
    tests: list('What must hold, or nothing is saved.', {
      src: { type: 'string', description: END },
      accept: texts(TARGET),
      deny: texts(TARGET),
      proto: { type: 'string' },
    }),
    sshTests: list('The same for SSH.', {
      src: { type: 'string', description: END },
      dst: texts('A device.'),
      accept: texts('A user of the host.'),
      check: texts('A user of the host.'),
      deny: texts('A user of the host.'),
    }),
    randomizeClientPort: { type: 'boolean', description: 'Devices use any UDP port.' },
    disableIPv4: { type: 'boolean', description: 'Devices get IPv6 addresses only.' },
  },
};
