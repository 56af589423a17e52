/** A long list of which only what is in view is built; rows may be of any height. */
import { useVirtualizer } from '@tanstack/react-virtual';
import { type ReactNode, useImperativeHandle, useRef, type Ref } from 'react';

export interface VirtualListHandle {
  readonly scrollToIndex: (index: number) => void;
}

/** Scrolls by itself, within the height that its class or parent gives it. */
export function VirtualList<Item>({
  label,
  items,
  itemId,
  estimatePx,
  children,
  ref,
}: {
  readonly label: string;
  readonly items: readonly Item[];
  readonly itemId: (item: Item, index: number) => string;
  /** Height of a usual row in CSS pixels; rows are measured when they are shown. */
  readonly estimatePx: number;
  readonly children: (item: Item, index: number) => ReactNode;
  readonly ref?: Ref<VirtualListHandle>;
}) {
  const scroller = useRef<HTMLDivElement>(null);
  const virtualizer = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => estimatePx,
    getItemKey: (index) => {
      const item = items[index];
      return item === undefined ? index : itemId(item, index);
    },
    overscan: 6,
  });
  useImperativeHandle(ref, () => ({
    scrollToIndex: (index) => virtualizer.scrollToIndex(index, { align: 'start' }),
  }));
  return (
    // oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex -- what scrolls must be reached by the keyboard
    <div ref={scroller} className="virtual-list" role="list" aria-label={label} tabIndex={0}>
      <div style={{ height: virtualizer.getTotalSize(), position: 'relative' }} role="presentation">
        {virtualizer.getVirtualItems().map(({ index, key, start }) => {
          const item = items[index];
          return item === undefined ? null : (
            <div
              key={key}
              ref={virtualizer.measureElement}
              data-index={index}
              role="listitem"
              aria-setsize={items.length}
              aria-posinset={index + 1}
              className="virtual-item"
              style={{ transform: `translateY(${start}px)` }}
            >
              {children(item, index)}
            </div>
          );
        })}
      </div>
    </div>
  );
}
