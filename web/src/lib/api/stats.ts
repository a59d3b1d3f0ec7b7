/** Statistics of both services. */

import { FILES } from './files';
import { getJson } from './http';
import { TASKS } from './tasks';

export interface FileStats {
  version: string;
  all_owners: boolean;
  files: number;
  bytes: number;
  reserved_bytes: number;
  room_bytes: number;
  quota: { bytes: number | null; files: number | null };
  by_type: { media_type: string; files: number; bytes: number }[];
}

export interface TaskStats {
  version: string;
  all_owners: boolean;
  tasks: { pending: number; processing: number; error: number; cancelled: number; finished: number };
  oldest_pending_seconds: number | null;
  last_minute: { finished: number; error: number; cancelled: number };
  by_day: { day: string; finished: number; error: number; cancelled: number }[];
  workers?: { name: string; processes: number; tasks: number }[];
}

export const fileStats = (): Promise<FileStats> => getJson(`${FILES}/stats`);
export const taskStats = (): Promise<TaskStats> => getJson(`${TASKS}/stats`);
