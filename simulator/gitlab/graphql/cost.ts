import {
  getArgumentValues,
  getDirectiveValues,
  getNamedType,
  GraphQLIncludeDirective,
  GraphQLObjectType,
  GraphQLSkipDirective,
  Kind,
  type FieldNode,
  type FragmentDefinitionNode,
  type SelectionNode,
  type SelectionSetNode,
} from 'graphql'

export interface Cost {
  complexity: number
  depth: number
}

export interface CostInput {
  root: GraphQLObjectType
  selectionSet: SelectionSetNode
  fragments: Readonly<Record<string, FragmentDefinitionNode>>
  /** Coerced already. */
  variables: Record<string, unknown>
}

/** A connection is charged for this many items when the query names neither `first` nor `last`. */
export const MAX_PAGE_SIZE = 100

interface FieldCharge {
  /** The field is resolved by a resolver class: it costs one more for a sort, five more for a search. */
  resolver?: true
  /** The field asks Gitaly: one more. */
  gitaly?: true
  /** One percent more per item that may be loaded. */
  connection?: true
  /** One more per requested path. */
  paths?: true
}

/** Fields that cost other than one point. Sources: `base_field.rb`, `base_resolver.rb` and the resolvers themselves. */
const CHARGES: Readonly<Record<string, FieldCharge | undefined>> = {
  'Query.group': { resolver: true },
  'Query.project': { resolver: true },
  'Query.runner': { resolver: true },
  'Query.runners': { resolver: true, connection: true },
  'Group.runners': { resolver: true, connection: true },
  'Project.runners': { resolver: true, connection: true },
  'CiRunner.managers': { resolver: true, connection: true },
  'Repository.blobs': { resolver: true, gitaly: true, connection: true, paths: true },
  'Repository.rootRef': { gitaly: true },
  'Repository.empty': { gitaly: true },
  'Repository.exists': { gitaly: true },
}

/** What GitLab charges for a query before it runs anything. Fragments and `@skip`/`@include` are honoured. */
export function queryCost(input: CostInput): Cost {
  return costOf(input, input.root, [input.selectionSet])
}

function costOf(input: CostInput, parent: GraphQLObjectType, selectionSets: readonly SelectionSetNode[]): Cost {
  const fields = new Map<string, FieldNode[]>()
  for (const { selections } of selectionSets) collect(input, parent, selections, fields)
  let complexity = 0
  let depth = 0
  for (const nodes of fields.values()) {
    const cost = fieldCost(input, parent, nodes)
    complexity += cost.complexity
    depth = Math.max(depth, cost.depth)
  }
  return { complexity, depth }
}

function fieldCost(input: CostInput, parent: GraphQLObjectType, nodes: readonly FieldNode[]): Cost {
  const [node] = nodes
  const definition = node && parent.getFields()[node.name.value]
  if (!definition) return { complexity: 1, depth: 1 }
  const type = getNamedType(definition.type)
  const children =
    type instanceof GraphQLObjectType
      ? costOf(
          input,
          type,
          nodes.flatMap(({ selectionSet }) => selectionSet ?? []),
        )
      : { complexity: 0, depth: 0 }
  const charge = CHARGES[`${parent.name}.${node.name.value}`] ?? {}
  const args = getArgumentValues(definition, node, input.variables)
  return { complexity: charged(children.complexity, charge, args), depth: children.depth + 1 }
}

function charged(children: number, charge: FieldCharge, args: Readonly<Record<string, unknown>>): number {
  let complexity = children + 1
  if (charge.resolver && args['sort']) complexity += 1
  if (charge.resolver && args['search']) complexity += 5
  if (charge.paths && Array.isArray(args['paths'])) complexity += args['paths'].length
  if (charge.gitaly) complexity += 1
  if (!charge.connection) return complexity
  const limits = [args['first'], args['last'], MAX_PAGE_SIZE].filter(limit => typeof limit === 'number')
  return Math.trunc(complexity + complexity * Math.min(...limits) * 0.01)
}

/** Fields by response key, as they will be merged. All types here are objects, so a type condition either fits or not. */
function collect(
  input: CostInput,
  parent: GraphQLObjectType,
  selections: readonly SelectionNode[],
  fields: Map<string, FieldNode[]>,
): void {
  for (const selection of selections) {
    if (isSkipped(selection, input.variables)) continue
    if (selection.kind === Kind.FIELD) {
      const key = selection.alias?.value ?? selection.name.value
      fields.set(key, [...(fields.get(key) ?? []), selection])
      continue
    }
    const fragment = selection.kind === Kind.FRAGMENT_SPREAD ? input.fragments[selection.name.value] : selection
    const condition = fragment?.typeCondition?.name.value
    if (fragment && (condition === undefined || condition === parent.name)) {
      collect(input, parent, fragment.selectionSet.selections, fields)
    }
  }
}

function isSkipped(selection: SelectionNode, variables: Record<string, unknown>): boolean {
  return (
    getDirectiveValues(GraphQLSkipDirective, selection, variables)?.['if'] === true ||
    getDirectiveValues(GraphQLIncludeDirective, selection, variables)?.['if'] === false
  )
}
