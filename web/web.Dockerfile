# nginx with the page. It runs as the user of file-storage, which takes over the uploads that it has received.
FROM nginx:1.30.7
# nginx checks the certificates of S3 against those of the image.
RUN test -s /etc/ssl/certs/ca-certificates.crt
RUN install --directory --owner 1000 --group 1000 /var/cache/nginx /var/lib/pixmill
COPY web/dist /usr/share/pixmill/web/dist
COPY web/problems /usr/share/pixmill/web/problems
COPY NOTICE LICENSE /usr/share/doc/pixmill/
# The image's entrypoint replaces the variables (config/nginx.env, config/limits.env) and writes conf.d/nginx.conf.
COPY config/nginx.conf /etc/nginx/templates/nginx.conf.template
USER 1000:1000
VOLUME /var/cache/nginx
EXPOSE 8080
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=6 \
  CMD ["curl", "--fail", "--silent", "--output", "/dev/null", "http://127.0.0.1:8080/"]
CMD ["nginx", "-c", "/etc/nginx/conf.d/nginx.conf", "-g", "daemon off;"]
