/** The console's set of components. Pages are made of these; what several pages need is added here. */
export {
  Button,
  type ButtonProps,
  IconButton,
  type IconButtonProps,
  LinkButton,
  WithTooltip,
} from './buttons.tsx';
export { type Column, DataTable, type DataTableProps, Pager } from './data-table.tsx';
export { DateRange } from './date-range.tsx';
export { Checkbox, type Choice, ComboBox, Select, TextField } from './fields.tsx';
export { JsonTree } from './json-tree.tsx';
export { ConfirmDialog, Dialog, Drawer, Menu, type MenuAction } from './overlays.tsx';
export { Card, Facts, Page, PageHeader, Stat, Stats, Toolbar } from './page.tsx';
export {
  Badge,
  EmptyState,
  ErrorState,
  Loaded,
  Meter,
  Notice,
  Skeleton,
  StateBadge,
  type Tone,
} from './states.tsx';
export { type TabChoice, Tabs } from './tabs.tsx';
export { CodeBlock, CopyButton, Key, Mono } from './text.tsx';
export { type Toasts, useToasts } from './toasts.tsx';
export { VirtualList, type VirtualListHandle } from './virtual-list.tsx';
