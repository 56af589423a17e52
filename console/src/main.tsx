/** Starts the console in the page that the server sent. */
import './styles/tokens.css';
import './styles/base.css';
import './styles/frame.css';
import './styles/components.css';
import { QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { RouterProvider } from 'react-router/dom';
import { createQueryClient } from './api/queries.ts';
import { createRouter } from './app/routes.tsx';
import { applyTheme } from './app/theme.ts';

const root = document.getElementById('root');
if (root === null) throw new Error('the page has no place for the console');
applyTheme();
createRoot(root).render(
  <StrictMode>
    <QueryClientProvider client={createQueryClient()}>
      <RouterProvider router={createRouter()} />
    </QueryClientProvider>
  </StrictMode>,
);
