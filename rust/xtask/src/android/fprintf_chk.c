// Debian's unwinder was compiled for glibc, whose checked fprintf is not in bionic. It is called where the unwinder gives up.

int vfprintf(void *, const char *, __builtin_va_list);

int __fprintf_chk(void *stream, int flag, const char *format, ...) {
  (void)flag;
  __builtin_va_list arguments;
  __builtin_va_start(arguments, format);
  int written = vfprintf(stream, format, arguments);
  __builtin_va_end(arguments);
  return written;
}
