import { commandArguments } from './arguments.ts'
import { runDecider } from './decider.ts'

void runDecider(commandArguments(process.argv, 'decider'), process.env)
