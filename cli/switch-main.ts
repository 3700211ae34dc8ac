import { commandArguments } from './arguments.ts'
import { runSwitch } from './steer.ts'
import { onTerminal } from './steering/run.ts'

void onTerminal(terminal => runSwitch(commandArguments(process.argv, 'switch'), terminal))
