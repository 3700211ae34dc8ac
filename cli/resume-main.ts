import { commandArguments } from './arguments.ts'
import { runResume } from './steer.ts'
import { onTerminal } from './steering/run.ts'

void onTerminal(terminal => runResume(commandArguments(process.argv, 'resume'), terminal))
