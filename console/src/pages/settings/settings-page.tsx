/** Settings: the viewer's own tokens and passkeys for everybody; the server's state for those who see all. */
import { NavLink, Navigate, Route, Routes } from 'react-router';
import { useAccess } from '../../access.ts';
import { Page } from '../../ui/index.ts';
import { AboutPart } from './about.tsx';
import { AdminsPart } from './admins.tsx';
import { DoctorPart } from './doctor.tsx';
import { HooksPart } from './hooks.tsx';
import { PasskeysPart } from './passkeys.tsx';
import { RetentionPart } from './retention.tsx';
import { ServerPart } from './server.tsx';
import { TokensPart } from './tokens.tsx';
import './settings.css';

interface Part {
  readonly path: string;
  readonly label: string;
  /** Shown to auditors and admins only. */
  readonly isOfServer: boolean;
  readonly show: () => React.ReactNode;
}

const PARTS: readonly Part[] = [
  { path: 'tokens', label: 'Tokens', isOfServer: false, show: () => <TokensPart /> },
  { path: 'passkeys', label: 'Passkeys', isOfServer: false, show: () => <PasskeysPart /> },
  { path: 'admins', label: 'Admins', isOfServer: true, show: () => <AdminsPart /> },
  { path: 'hooks', label: 'Hooks', isOfServer: true, show: () => <HooksPart /> },
  { path: 'retention', label: 'Retention', isOfServer: true, show: () => <RetentionPart /> },
  { path: 'server', label: 'Server', isOfServer: true, show: () => <ServerPart /> },
  { path: 'doctor', label: 'Doctor', isOfServer: true, show: () => <DoctorPart /> },
  { path: 'about', label: 'About', isOfServer: false, show: () => <AboutPart /> },
];

export function SettingsPage() {
  const { isUser, seesAll } = useAccess();
  const parts = PARTS.filter(({ isOfServer }) => seesAll || (isUser && !isOfServer));
  if (!isUser)
    return (
      <Page title="Settings">
        <p>Nothing is granted to you yet, so there is nothing to set. Ask an admin for a role.</p>
      </Page>
    );
  return (
    <Page title="Settings" lead="Your ways in, and what this server is set to.">
      <nav className="tab-list settings-nav" aria-label="Parts of the settings">
        {parts.map(({ path, label }) => (
          <NavLink key={path} to={`/settings/${path}`} className="tab">
            {label}
          </NavLink>
        ))}
      </nav>
      <div className="stack">
        <Routes>
          {parts.map(({ path, show }) => (
            <Route key={path} path={path} element={show()} />
          ))}
          <Route path="*" element={<Navigate to="/settings/tokens" replace />} />
        </Routes>
      </div>
    </Page>
  );
}
