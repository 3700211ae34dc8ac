import { commandArguments } from './arguments.ts'
import { runWebhook } from './webhook.ts'

void runWebhook(commandArguments(process.argv, 'webhook'), process.env)
