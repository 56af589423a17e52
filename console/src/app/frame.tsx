/** What stands around every page: navigation by role, who one is, theme, messages. */
import { useQuery } from '@tanstack/react-query';
import { CircleHelp, Ellipsis, Monitor, Moon, Sun } from 'lucide-react';
import { useEffect, useRef, useState } from 'react';
import { NavLink, Outlet, ScrollRestoration, useLocation } from 'react-router';
import { AccessContext, accessOf } from '../access.ts';
import { allowLive, useLive } from '../api/live.ts';
import { isProblem } from '../api/problem.ts';
import { pendingApprovalsQuery, type Whoami, whoamiQuery } from '../api/queries.ts';
import { PresenceProvider } from '../presence/presence.tsx';
import { IconButton } from '../ui/buttons.tsx';
import { Drawer } from '../ui/overlays.tsx';
import { EmptyState, ErrorState, Skeleton } from '../ui/states.tsx';
import { ToastProvider } from '../ui/toasts.tsx';
import { type Place, placesFor } from './navigation.ts';
import { OfflineBanner } from './offline-banner.tsx';
import { ShortcutHelp, useShortcuts } from './shortcuts.tsx';
import { chooseTheme, type Theme, useTheme } from './theme.ts';

/** Asks who the viewer is, then shows the console for them. */
export function Frame() {
  const me = useQuery(whoamiQuery());
  if (me.data !== undefined) return <Known me={me.data} />;
  if (me.error === null)
    return (
      <main className="alone">
        <Skeleton lines={4} label="Loading the console" />
      </main>
    );
  return (
    <main className="alone">
      <h1>Postern</h1>
      {isProblem(me.error, 'identity_required') || isProblem(me.error, 'no_identity') ? (
        <EmptyState title="Nobody vouches for this connection">
          Open this page over your tailnet, or on the machine that runs Postern.
        </EmptyState>
      ) : (
        <ErrorState error={me.error} what="The console could not be loaded" retry={() => void me.refetch()} />
      )}
    </main>
  );
}

function Known({ me }: { readonly me: Whoami }) {
  const access = accessOf(me);
  const places = placesFor(access);
  const [isHelpOpen, setHelpOpen] = useState(false);
  useShortcuts(places, () => setHelpOpen(true));
  useFocusOnNavigation();
  useEffect(() => allowLive(access.isUser), [access.isUser]);
  return (
    <AccessContext value={access}>
      <ToastProvider>
        <PresenceProvider>
          <a className="skip-link" href="#main">
            Skip to the page
          </a>
          <div className="frame">
            <Sidebar places={places} me={me} onHelp={() => setHelpOpen(true)} />
            <div className="frame-main">
              <OfflineBanner />
              <main id="main" tabIndex={-1}>
                <Outlet />
              </main>
            </div>
            <BottomBar places={places} me={me} onHelp={() => setHelpOpen(true)} />
          </div>
          <ShortcutHelp places={places} isOpen={isHelpOpen} onClose={() => setHelpOpen(false)} />
          <ScrollRestoration />
        </PresenceProvider>
      </ToastProvider>
    </AccessContext>
  );
}

interface NavigationProps {
  readonly places: readonly Place[];
  readonly me: Whoami;
  readonly onHelp: () => void;
}

function Sidebar({ places, me, onHelp }: NavigationProps) {
  return (
    <aside className="sidebar" aria-label="Console">
      <p className="brand">
        <BrandMark /> Postern
      </p>
      <nav aria-label="Places">
        <Places places={places} />
      </nav>
      <footer className="sidebar-foot">
        <Identity me={me} />
        <div className="actions">
          <ThemeButton />
          <IconButton label="Keyboard shortcuts" icon={CircleHelp} onPress={onHelp} />
        </div>
      </footer>
    </aside>
  );
}

function Places({ places }: { readonly places: readonly Place[] }) {
  return (
    <ul>
      {places.map((place) => (
        <li key={place.to}>
          <PlaceLink place={place} />
        </li>
      ))}
    </ul>
  );
}

function PlaceLink({ place: { to, label, icon: Icon } }: { readonly place: Place }) {
  return (
    <NavLink to={to} end={to === '/'} className="place">
      <Icon aria-hidden size={18} />
      <span>{label}</span>
      {to === '/approvals' && <WaitingCount />}
    </NavLink>
  );
}

/** How many approvals wait for the viewer, kept current by events. */
function WaitingCount() {
  const waiting = useQuery(pendingApprovalsQuery('to_decide'));
  useLive(
    ['gap', 'approval.requested', 'approval.decided', 'approval.expired'],
    () => void waiting.refetch(),
  );
  const count = waiting.data?.items.length ?? 0;
  if (count === 0) return null;
  return (
    <span className="count">
      {count}
      <span className="visually-hidden"> waiting for you</span>
    </span>
  );
}

function BottomBar({ places, me, onHelp }: NavigationProps) {
  const [isOpen, setOpen] = useState(false);
  const { pathname } = useLocation();
  useEffect(() => setOpen(false), [pathname]);
  return (
    <>
      <nav className="bottom-bar" aria-label="Main places">
        {places
          .filter(({ isOnBar }) => isOnBar === true)
          .map((place) => (
            <PlaceLink key={place.to} place={place} />
          ))}
        <button type="button" className="place" aria-haspopup="dialog" onClick={() => setOpen(true)}>
          <Ellipsis aria-hidden size={18} />
          <span>More</span>
        </button>
      </nav>
      <Drawer title="Postern" isOpen={isOpen} onClose={() => setOpen(false)}>
        <nav aria-label="All places" className="drawer-places">
          <Places places={places} />
        </nav>
        <footer className="sidebar-foot">
          <Identity me={me} />
          <div className="actions">
            <ThemeButton />
            <IconButton
              label="Keyboard shortcuts"
              icon={CircleHelp}
              onPress={() => {
                setOpen(false);
                onHelp();
              }}
            />
          </div>
        </footer>
      </Drawer>
    </>
  );
}

function Identity({ me }: { readonly me: Whoami }) {
  return (
    <p className="identity" title={me.principal}>
      <strong>{me.label}</strong>
      <span className="soft">{me.roles.length === 0 ? 'no role yet' : me.roles.join(', ')}</span>
    </p>
  );
}

const THEMES = {
  system: { icon: Monitor, label: 'Colours: as the system', next: 'light' },
  light: { icon: Sun, label: 'Colours: light', next: 'dark' },
  dark: { icon: Moon, label: 'Colours: dark', next: 'system' },
} as const satisfies Record<Theme, { icon: unknown; label: string; next: Theme }>;

function ThemeButton() {
  const { icon, label, next } = THEMES[useTheme()];
  return <IconButton label={label} icon={icon} onPress={() => chooseTheme(next)} />;
}

/** A low gate in a wall. */
function BrandMark() {
  return (
    <svg width="22" height="22" viewBox="0 0 24 24" aria-hidden className="brand-mark">
      <path d="M3 21V6.5L12 3l9 3.5V21h-5.5v-6a3.5 3.5 0 0 0-7 0v6Z" fill="currentColor" />
    </svg>
  );
}

/** A new page begins at its heading for who listens or uses the keyboard; the first one does not take the focus. */
function useFocusOnNavigation(): void {
  const { pathname } = useLocation();
  const seen = useRef(pathname);
  useEffect(() => {
    if (seen.current === pathname) return;
    seen.current = pathname;
    document.getElementById('main')?.focus({ preventScroll: true });
  }, [pathname]);
}
