import { commandArguments } from './arguments.ts'
import { runDemo } from './demo.ts'

void runDemo(commandArguments(process.argv, 'demo'), process.env)
