// page.html as bytes of the binary.
#ifndef WORKER_HTTP_PAGE_H
#define WORKER_HTTP_PAGE_H

#include "protocol/base/slice.h"

struct slice page_html(void);

#endif
