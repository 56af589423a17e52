/** Parts of a page of which one is shown; keep which in the address (`useUrlState`). */
import type { ReactNode } from 'react';
import { Tab, TabList, TabPanel, Tabs as AriaTabs } from 'react-aria-components/Tabs';

export interface TabChoice<Id extends string> {
  readonly id: Id;
  readonly label: ReactNode;
}

/** Arrow keys move between tabs. `children` is the part of the tab that is shown. */
export function Tabs<Id extends string>({
  label,
  tabs,
  value,
  onChange,
  children,
}: {
  readonly label: string;
  readonly tabs: readonly TabChoice<Id>[];
  readonly value: Id;
  readonly onChange: (id: Id) => void;
  readonly children: ReactNode;
}) {
  return (
    <AriaTabs
      className="tabs"
      selectedKey={value}
      onSelectionChange={(key) => {
        const tab = tabs.find(({ id }) => id === key);
        if (tab !== undefined && tab.id !== value) onChange(tab.id);
      }}
    >
      <TabList aria-label={label} className="tab-list">
        {tabs.map((tab) => (
          <Tab key={tab.id} id={tab.id} className="tab">
            {tab.label}
          </Tab>
        ))}
      </TabList>
      <TabPanel key={value} id={value} className="tab-panel">
        {children}
      </TabPanel>
    </AriaTabs>
  );
}
