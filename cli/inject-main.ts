import { commandArguments } from './arguments.ts'
import { runInject } from './inject.ts'

void runInject(commandArguments(process.argv, 'inject'))
