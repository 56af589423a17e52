/** What is wrong with this server, and how to mend it: what `postern doctor` says. */
import { useQuery } from '@tanstack/react-query';
import { CircleAlert, CircleCheck, Info, TriangleAlert } from 'lucide-react';
import { Button, Card, Loaded, Notice } from '../../ui/index.ts';
import { doctorQuery } from './queries.ts';

const ICONS = { ok: CircleCheck, note: Info, warning: TriangleAlert, problem: CircleAlert } as const;
const TONES = { ok: 'good', note: 'soft', warning: 'warn', problem: 'bad' } as const;
/** The worst first. */
const ORDER = ['problem', 'warning', 'note', 'ok'] as const;

export function DoctorPart() {
  const doctor = useQuery(doctorQuery());
  return (
    <Card
      title="Doctor"
      hint="Checks of this server, as postern doctor makes them."
      actions={
        <Button small busy={doctor.isFetching} onPress={() => void doctor.refetch()}>
          Check again
        </Button>
      }
    >
      <Loaded query={doctor} what="The server could not be checked" lines={6}>
        {({ ok, findings }) => (
          <div className="stack">
            <Notice tone={ok ? 'good' : 'warn'}>
              {ok ? 'There is nothing to mend.' : 'Something needs attention.'}
            </Notice>
            <ul className="findings">
              {ORDER.flatMap((level) => findings.filter((finding) => finding.level === level)).map(
                ({ check, level, message, fix }, index) => {
                  const Icon = ICONS[level];
                  return (
                    <li key={index}>
                      <Icon aria-hidden size={18} className={TONES[level]} />
                      <div className="stranger">
                        <p>
                          <strong>{check}</strong> <span className="visually-hidden">({level})</span>{' '}
                          {message}
                        </p>
                        {fix !== null && <p className="soft">{fix}</p>}
                      </div>
                    </li>
                  );
                },
              )}
            </ul>
          </div>
        )}
      </Loaded>
    </Card>
  );
}
