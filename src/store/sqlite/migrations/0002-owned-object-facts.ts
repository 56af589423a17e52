/** What is remembered of provider objects beyond their owner: see `OwnedObject` in `src/store/shapes.ts`. */
export const ownedObjectFacts = {
  version: 2,
  name: 'owned-object-facts',
  sql: `
ALTER TABLE owned_objects ADD COLUMN models TEXT; -- JSON array
ALTER TABLE owned_objects ADD COLUMN parent_id TEXT;
ALTER TABLE owned_objects ADD COLUMN settled_at INTEGER;
CREATE INDEX owned_objects_by_id ON owned_objects (tailnet, kind, object_id);
`,
};
