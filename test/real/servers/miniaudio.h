/* Stands where Ollama's sources expect a sound decoder, which a Go module does not bring: no test here hears anything. */
#pragma once
#include <cstddef>
typedef int ma_result;
typedef unsigned long long ma_uint64;
typedef unsigned int ma_uint32;
typedef struct {} ma_decoder_config;
typedef struct {} ma_decoder;
enum { MA_SUCCESS = 0, ma_format_f32 = 5 };
static inline ma_decoder_config ma_decoder_config_init(int, ma_uint32, ma_uint32) { return {}; }
static inline ma_result ma_decoder_init_memory(const void *, size_t, const ma_decoder_config *, ma_decoder *) { return -1; }
static inline ma_result ma_decoder_get_length_in_pcm_frames(ma_decoder *, ma_uint64 *) { return -1; }
static inline ma_result ma_decoder_read_pcm_frames(ma_decoder *, void *, ma_uint64, ma_uint64 *) { return -1; }
static inline ma_result ma_decoder_uninit(ma_decoder *) { return MA_SUCCESS; }
