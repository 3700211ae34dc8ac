import { commandArguments } from './arguments.ts'
import { runStatus } from './status.ts'
import { onTerminal } from './steering/run.ts'

void onTerminal(terminal => runStatus(commandArguments(process.argv, 'status'), terminal))
