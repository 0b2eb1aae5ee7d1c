import { hostname } from 'node:os'

/** Whether the origin is a server on this machine. */
export function isLoopback(origin: string): boolean {
  return /^[a-z]+:\/\/(localhost|127\.\d+\.\d+\.\d+|0\.0\.0\.0|\[::1?\])(:\d+)?$/.test(origin)
}

/** Returns the name of an origin for all processes of a fleet. Each machine has its own 127.0.0.1, so the machine is part of that name. */
export function nameInFleet(origin: string): string {
  return isLoopback(origin) ? `${origin} of ${hostname()}` : origin
}
