import { commandArguments } from './arguments.ts'
import { runPause } from './steer.ts'
import { onTerminal } from './steering/run.ts'

void onTerminal(terminal => runPause(commandArguments(process.argv, 'pause'), terminal))
