/** The drawing: who asks at the left, who is reached at the right, a line for each that may. */
import { counted } from '../../format/index.ts';
import { labelOf, type ReachGroup, type ReachLink, trafficText } from './reach-texts.ts';

const WIDTH = 760;
const BOX_WIDTH = 230;
const BOX_HEIGHT = 40;
const STEP = 54;
const TOP = 28;
/** Letters that fit into a box. */
const LETTERS_MAX = 26;

interface Box {
  readonly group: ReachGroup;
  readonly y: number;
}

export function ReachDrawing({
  groups,
  links,
}: {
  readonly groups: readonly ReachGroup[];
  readonly links: readonly ReachLink[];
}) {
  const left = column(groups, new Set(links.map(({ from }) => from)));
  const right = column(groups, new Set(links.map(({ to }) => to)));
  const height = TOP + Math.max(left.size, right.size) * STEP;
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reached by the keyboard
    <div className="reach-scroll" role="region" aria-label="Drawing" tabIndex={0}>
      <svg
        className="reach"
        role="img"
        aria-label={`${counted(left.size, 'group')} at the left, ${counted(right.size, 'group')} that they may reach at the right, ${counted(links.length, 'line')} between: the table below says the same`}
        viewBox={`0 0 ${WIDTH} ${height}`}
        width={WIDTH}
        height={height}
      >
        <text x={0} y={14} className="reach-head">
          From
        </text>
        <text x={WIDTH - BOX_WIDTH} y={14} className="reach-head">
          may reach
        </text>
        {links.map((link) => (
          <Line key={`${link.from} ${link.to}`} link={link} left={left} right={right} />
        ))}
        {[...left.values()].map((box) => (
          <BoxShape key={box.group.id} box={box} x={0} />
        ))}
        {[...right.values()].map((box) => (
          <BoxShape key={box.group.id} box={box} x={WIDTH - BOX_WIDTH} />
        ))}
      </svg>
    </div>
  );
}

function column(groups: readonly ReachGroup[], shown: ReadonlySet<string>): ReadonlyMap<string, Box> {
  return new Map(
    groups
      .filter(({ id }) => shown.has(id))
      .map((group, index) => [group.id, { group, y: TOP + index * STEP }]),
  );
}

function Line({
  link,
  left,
  right,
}: {
  readonly link: ReachLink;
  readonly left: ReadonlyMap<string, Box>;
  readonly right: ReadonlyMap<string, Box>;
}) {
  const from = left.get(link.from);
  const to = right.get(link.to);
  if (from === undefined || to === undefined) return null;
  const [x1, y1] = [BOX_WIDTH, from.y + BOX_HEIGHT / 2];
  const [x2, y2] = [WIDTH - BOX_WIDTH, to.y + BOX_HEIGHT / 2];
  const middle = (x1 + x2) / 2;
  const kind = link.traffic.includes('*') ? 'everything' : 'some';
  return (
    <path
      className={`reach-line ${kind}${link.partial ? ' partial' : ''}`}
      d={`M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`}
    >
      <title>{`${labelOf(from.group)} may reach ${labelOf(to.group)}: ${trafficText(link)}`}</title>
    </path>
  );
}

function BoxShape({ box: { group, y }, x }: { readonly box: Box; readonly x: number }) {
  const label = labelOf(group);
  return (
    <g>
      <title>{namesOf(group)}</title>
      <rect
        x={x + 0.5}
        y={y + 0.5}
        width={BOX_WIDTH - 1}
        height={BOX_HEIGHT - 1}
        rx={8}
        className="reach-box"
      />
      <text x={x + 12} y={y + 17} className="reach-name">
        {label.length > LETTERS_MAX ? `${label.slice(0, LETTERS_MAX - 1)}…` : label}
      </text>
      <text x={x + 12} y={y + 32} className="reach-note">
        {`${counted(group.devices.length, 'device')}, ${group.online} online`}
      </text>
    </g>
  );
}

/** Of those in a box, as far as a hint shows them. */
function namesOf({ names, devices }: ReachGroup): string {
  return [...names.slice(0, 20), ...devices.slice(0, 20)].join('\n');
}
