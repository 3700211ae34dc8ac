/** One way on from a state: what happens, and the state after it. */
export interface Move<State> {
  label: string
  to: State
  /** The move itself breaks the invariant. */
  breaks?: string
}

export interface Model<State> {
  initial: readonly State[]
  /** Equal keys, equal states. */
  key: (state: State) => string
  state: (key: string) => State
  moves: (state: State) => readonly Move<State>[]
  show: (state: State) => string
}

export interface Search {
  states: number
  transitions: number
  /** Why and along which moves the invariant breaks; undefined: it never does. One of the shortest ways. */
  counterexample?: { broken: string; trace: readonly string[] }
}

/**
 * Breadth-first search of all states that can be reached. Stops at the first broken invariant. Rejects nothing by hash
 * alone: keys are whole states. Throws beyond `maxStates`, so that a model that grew is noticed.
 */
export function search<State>(model: Model<State>, maxStates: number): Search {
  const parents = new Map<string, string | undefined>()
  for (const state of model.initial) parents.set(model.key(state), undefined)
  let transitions = 0
  // A Map goes on to keys that are added while it is walked through: it is the queue as well.
  for (const from of parents.keys()) {
    for (const move of model.moves(model.state(from))) {
      transitions++
      if (move.breaks !== undefined) {
        const trace = [...traceTo(model, parents, from), `${move.label}  ${model.show(move.to)}`]
        return { states: parents.size, transitions, counterexample: { broken: move.breaks, trace } }
      }
      const to = model.key(move.to)
      if (parents.has(to)) continue
      if (parents.size >= maxStates) throw new Error(`more than ${maxStates} states`)
      parents.set(to, from)
    }
  }
  return { states: parents.size, transitions }
}

function traceTo<State>(model: Model<State>, parents: Map<string, string | undefined>, last: string): string[] {
  const keys = [last]
  for (let key = parents.get(last); key !== undefined; key = parents.get(key)) keys.unshift(key)
  return keys.map((key, index) => {
    const before = keys[index - 1]
    const label =
      before === undefined
        ? 'at first'
        : model.moves(model.state(before)).find(move => model.key(move.to) === key)?.label
    return `${label ?? '?'}  ${model.show(model.state(key))}`
  })
}
