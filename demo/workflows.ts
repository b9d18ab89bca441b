/**
 * The demo origin's workflows: a bounded store that forgets its oldest entry when it is full.
 *
 * It starts with two, one of which waits for approval, so that lists and gauges have something to show.
 */
const WORKFLOWS_MAX = 1000;

/** A workflow as the API shows it. */
export interface Workflow {
  readonly id: string;
  readonly name: string;
  readonly status: "active" | "awaiting_approval";
  /** RFC 3339. */
  readonly created_at: string;
}

/** What a client gives to create one. */
export interface NewWorkflow {
  readonly name: string;
  readonly needs_approval: boolean;
}

/** Workflows by id, oldest first. */
export interface WorkflowStore {
  list(): readonly Workflow[];
  get(id: string): Workflow | undefined;
  create(workflow: NewWorkflow, nowMs: number): Workflow;
  count(status: Workflow["status"]): number;
}

/** A store with its two examples in it. */
export function createWorkflowStore(nowMs: number): WorkflowStore {
  const workflows = new Map<string, Workflow>();
  let created = 0;
  const store: WorkflowStore = {
    list: () => [...workflows.values()],
    get: (id) => workflows.get(id),
    count: (status) => store.list().filter((workflow) => workflow.status === status).length,
    create({ name, needs_approval }, createdMs) {
      created += 1;
      const workflow: Workflow = {
        id: `wf_${created}`,
        name,
        status: needs_approval ? "awaiting_approval" : "active",
        created_at: new Date(createdMs).toISOString(),
      };
      workflows.set(workflow.id, workflow);
      const oldest = workflows.keys().next();
      if (workflows.size > WORKFLOWS_MAX && !oldest.done) workflows.delete(oldest.value);
      return workflow;
    },
  };
  store.create({ name: "Welcome a new customer", needs_approval: false }, nowMs);
  store.create({ name: "Refund above 500", needs_approval: true }, nowMs);
  return store;
}
